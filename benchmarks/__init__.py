"""What botan_fast costs, beside what people use today. See README.md in this folder."""
