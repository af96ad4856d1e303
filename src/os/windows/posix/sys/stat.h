#pragma once
#include_next <sys/stat.h>
#include "src/os/windows/calls.h"
