"""What builds, checks and runs the product from its repository; no part of the wheel."""
