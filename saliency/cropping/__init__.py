"""One photo: look at it, choose its windows, cut them."""
