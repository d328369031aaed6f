#pragma once

namespace tc {

/// While one exists, this thread asks no name servers, where the C library is glibc. libtorch's
/// store looks up the name of each computer that connects, for its messages: those who connect do
/// so for rank 0's, and rank 0 for theirs, in the one thread that serves all of them, but that they
/// are in the file of hosts. Where a name server does not answer, that takes seconds.
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
