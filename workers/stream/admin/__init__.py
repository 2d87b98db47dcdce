"""What commands do to a cluster: topics, the offsets of groups, rights, positions, one record set aside."""
