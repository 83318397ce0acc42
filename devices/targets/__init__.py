"""Where models are measured and run: this machine, another one, an emulated one."""
