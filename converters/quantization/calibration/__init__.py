"""What tensors hold on rows: histograms that grow, and the ranges read from them."""
