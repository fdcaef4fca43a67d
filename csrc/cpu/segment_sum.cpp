#include "botan_fast.h"
