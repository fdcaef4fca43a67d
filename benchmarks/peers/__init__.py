"""What botan_fast is measured against: other implementations of the same network."""
