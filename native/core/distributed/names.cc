#include "core/distributed/names.h"

#ifndef _WIN32
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#endif
#ifdef __GLIBC__
#include <resolv.h>
#endif

#include <cerrno>
#include <utility>

namespace tc {

#ifndef _WIN32
bool isIPv4(const std::string& host) {
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

std::optional<int> listenOnIPv4(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) return std::nullopt;
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  // As libtorch does.
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  fcntl(listener, F_SETFD, FD_CLOEXEC);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      listen(listener, SOMAXCONN) == 0)
    return listener;
  const int reason = errno;
  close(listener);
  errno = reason;
  return std::nullopt;
}

int portOf(int socket) {
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}
#else
bool isIPv4(const std::string&) { return false; }
std::optional<int> listenOnIPv4(int) { return std::nullopt; }
int portOf(int) { return 0; }
#endif

#ifdef __GLIBC__
NoNameServers::NoNameServers() {
  if ((_res.options & RES_INIT) == 0) res_init();
  servers_ = std::exchange(_res.nscount, 0);
}
NoNameServers::~NoNameServers() { _res.nscount = servers_; }
#else
NoNameServers::NoNameServers() = default;
NoNameServers::~NoNameServers() = default;
#endif

}  // namespace tc
