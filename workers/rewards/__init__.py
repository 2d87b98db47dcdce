"""Ways an advertiser's wishes become numbers: one file each, one protocol (base.py)."""
