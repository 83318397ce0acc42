"""The charts of the page: one function each, SVG comes out."""
