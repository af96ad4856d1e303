#pragma once
#include "src/os/windows/calls.h"
