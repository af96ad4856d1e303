#pragma once
#include_next <stdlib.h>
#include "src/os/windows/calls.h"
