"""What is worth computing in one piece, whatever the backend."""
