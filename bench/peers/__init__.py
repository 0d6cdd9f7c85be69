"""What Plugward is measured against, set up as its own documentation shows."""
