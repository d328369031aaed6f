#pragma once

#include <exception>
#include <string>

namespace tc {

/// What an exception says, for a message of ours: the first line, without the places in libtorch's
/// sources, backtraces and advice that libtorch's own exceptions come with.
std::string reasonOf(const std::exception& error);

}  // namespace tc
