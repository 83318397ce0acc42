"""The central side: takes in what devices and nightly runs report, keeps it, and watches it."""
