"""A chart a file. `draw(subject, variant, width)` gives an svg element, or nothing where there is nothing to draw."""
