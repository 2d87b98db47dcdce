"""Reports over the auctions of a period, folded from events: what other terms would have done, and who advertised."""
