"""What datasets over several databases cost, and what they do while a source is away."""
