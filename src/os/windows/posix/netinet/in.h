#pragma once
#include "src/os/windows/sockets.h"
