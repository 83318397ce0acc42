"""Rows of any data file, batch by batch, in bounded memory."""
