"""What `mlpack convert` opens: one module a framework, behind the protocol in `source`."""
