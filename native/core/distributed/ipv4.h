#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace tc {

/// Whether a host is an IPv4 address, which takes no look-up to connect to.
bool isIPv4(const std::string& host);

/// The IPv4 address of a host, which other names may have only after a while: those of a cluster's
/// services, once what they stand for runs. The host itself where it has addresses of another kind
/// only; nothing where it is not known by the deadline. Asks name servers, which may take seconds
/// longer.
std::optional<std::string> toIPv4(const std::string& host,
                                  std::chrono::steady_clock::time_point deadline);

/// A socket that listens on this port of all IPv4 addresses, on any that is free for 0; nothing
/// where that fails, with `errno`.
std::optional<int> listenOnIPv4(int port);

/// The port of such a socket.
int portOf(int socket);

/// Waits until somebody listens there, and tells whether somebody does by then. At first it looks
/// often: libtorch's own sockets would wait for half a second or longer after the first look.
bool awaitListener(const std::string& address, int port,
                   std::chrono::steady_clock::time_point deadline);

}  // namespace tc
