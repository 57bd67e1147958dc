"""What a photo file is: reading and writing it, its metadata, colours and borders."""
