#pragma once

namespace tc {

/// While one exists, this thread asks no name servers, where the C library is glibc. libtorch's
/// store looks up the name of each peer that it connects to, for its messages, which takes seconds
/// where a name server does not answer. (Rank 0's thread that serves the store, which does the same
/// for those that connect, is libtorch's own: see ipv4.h.)
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
