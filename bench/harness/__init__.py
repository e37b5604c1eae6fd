"""The parts of `bench/run`: what is measured, on which servers, and how it is told."""
