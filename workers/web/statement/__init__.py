"""The page of an advertiser's statement."""
