"""The page that tells a run, and the pictures of its errors."""
