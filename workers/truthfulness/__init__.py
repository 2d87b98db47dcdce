"""What tries to refute that the auction is truthful: lies, broken properties, random auctions, split bids."""
