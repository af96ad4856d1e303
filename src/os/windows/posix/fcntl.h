#pragma once
#include_next <fcntl.h>
#include "src/os/windows/calls.h"
