def nodes_for(capacity):
    return 2 << (capacity - 1).bit_length()
