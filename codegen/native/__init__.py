"""Programs to fused loop nests in C: flatten, fuse, place, print, lay out."""
