"""ARM boards without ARM hardware: roots made of packages, user-mode emulation, counts of instructions."""
