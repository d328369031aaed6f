#pragma once

#include <optional>
#include <string>

namespace tc {

// libtorch's store looks up the name of each computer that connects, for its messages: those who
// connect do so for rank 0's, and rank 0 for theirs, in the one thread that serves all of them.
// Where a name server does not answer, that takes seconds.

/// Whether a host is an IPv4 address, which takes no look-up to connect to.
bool isIPv4(const std::string& host);

/// A socket that listens on this port of all IPv4 addresses, on any that is free for 0; nothing
/// where that fails, with `errno`. The names of those who connect to it on this computer, other
/// than through an IPv6 socket, are in the file of hosts.
std::optional<int> listenOnIPv4(int port);

/// The port of a socket.
int portOf(int socket);

/// While one exists, this thread asks no name servers; C libraries other than glibc do all the
/// same.
class NoNameServers {
 public:
  NoNameServers();
  ~NoNameServers();
  NoNameServers(const NoNameServers&) = delete;
  NoNameServers& operator=(const NoNameServers&) = delete;

 private:
  int servers_ = 0;
};

}  // namespace tc
