#pragma once
#include_next <unistd.h>
#include "src/os/windows/calls.h"
