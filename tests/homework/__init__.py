"""Right and wrong answers to every homework question, as students write them."""
