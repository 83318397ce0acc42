"""Facts and gates of drift: what changed between a reference and a window of profiles, with numpy."""
