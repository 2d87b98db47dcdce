"""What tries to refute that the mechanism is strategyproof: misreports, properties, random auctions, split bids."""
