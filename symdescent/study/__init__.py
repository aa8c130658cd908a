"""What can be learned about a loss at points: its trace, critical points, curvature, first steps worked out."""
