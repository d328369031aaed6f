#include "core/distributed/ipv4.h"

#ifndef _WIN32
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <thread>

namespace tc {

#ifndef _WIN32
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Between two looks at whether somebody listens, at first and at last: many ranks may be looking.
constexpr milliseconds kFirstLook(10);
constexpr milliseconds kLastLook(1000);

std::optional<sockaddr_in> addressOf(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return std::nullopt;
  return address;
}

/// A socket that programs started from here do not inherit; −1 where there is none.
int newSocket() {
  const int made = socket(AF_INET, SOCK_STREAM, 0);
  if (made >= 0) fcntl(made, F_SETFD, FD_CLOEXEC);
  return made;
}

milliseconds timeTo(Clock::time_point deadline) {
  return std::max(std::chrono::duration_cast<milliseconds>(deadline - Clock::now()),
                  milliseconds(0));
}

bool connects(const sockaddr_in& address, Clock::time_point deadline) {
  const int probe = newSocket();
  if (probe < 0) return false;
  fcntl(probe, F_SETFL, O_NONBLOCK);
  bool connected =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (!connected && errno == EINPROGRESS) {
    pollfd waiting{probe, POLLOUT, 0};
    int error = 0;
    socklen_t length = sizeof(error);
    connected = poll(&waiting, 1, static_cast<int>(timeTo(deadline).count())) == 1 &&
                getsockopt(probe, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
  }
  close(probe);
  return connected;
}

}  // namespace

bool isIPv4(const std::string& host) { return addressOf(host, 0).has_value(); }

std::optional<std::string> toIPv4(const std::string& host, Clock::time_point deadline) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  for (milliseconds pause = kFirstLook;; pause = std::min(2 * pause, kLastLook)) {
    addrinfo* list = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &list) == 0) {
      const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, freeaddrinfo);
      std::array<char, INET_ADDRSTRLEN> address{};
      const auto* first = reinterpret_cast<const sockaddr_in*>(list->ai_addr);
      inet_ntop(AF_INET, &first->sin_addr, address.data(), address.size());
      return address.data();
    }
    hints.ai_family = AF_UNSPEC;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &list) == 0) {
      freeaddrinfo(list);
      return host;
    }
    if (Clock::now() >= deadline) return std::nullopt;
    hints.ai_family = AF_INET;
    std::this_thread::sleep_for(std::min(pause, timeTo(deadline)));
  }
}

std::optional<int> listenOnIPv4(int port) {
  const int listener = newSocket();
  if (listener < 0) return std::nullopt;
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  // As libtorch does.
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
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

bool awaitListener(const std::string& address, int port, Clock::time_point deadline) {
  const auto there = addressOf(address, port);
  if (!there) return false;
  for (milliseconds pause = kFirstLook;; pause = std::min(2 * pause, kLastLook)) {
    if (connects(*there, deadline)) return true;
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::min(pause, timeTo(deadline)));
  }
}
#else
bool isIPv4(const std::string&) { return false; }
std::optional<std::string> toIPv4(const std::string& host, std::chrono::steady_clock::time_point) {
  return host;
}
std::optional<int> listenOnIPv4(int) { return std::nullopt; }
int portOf(int) { return 0; }
bool awaitListener(const std::string&, int, std::chrono::steady_clock::time_point) { return false; }
#endif

}  // namespace tc
