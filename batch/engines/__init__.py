"""What runs the shards of a plan: this machine, or a cluster that the user has."""
