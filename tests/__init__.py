import pytest

pytest.register_assert_rewrite("tests.helpers")  # what they assert is then reported like the asserts of a test
