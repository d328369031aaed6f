#ifdef TC_C10D

#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cstdlib>
#include <sstream>

#include "core/distributed/backend.h"

namespace tc {
namespace {

c10::Device device(const Meeting&) { return c10::kCPU; }

/// As PyTorch: by the interfaces that GLOO_SOCKET_IFNAME names, or the address of the host's name.
c10::intrusive_ptr<c10d::Backend> connect(const c10::intrusive_ptr<c10d::Store>& store,
                                          const Meeting& meeting) {
  const auto options = c10d::ProcessGroupGloo::Options::create(meeting.timeout);
  options->threads = 1;  // one sum after another
  if (const char* names = std::getenv("GLOO_SOCKET_IFNAME"); names != nullptr && *names != '\0') {
    std::istringstream list(names);
    for (std::string name; std::getline(list, name, ',');)
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(name));
  } else {
    options->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
  }
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, meeting.rank, meeting.worldSize,
                                                     options);
}

const Rows<DistributedBackend> kRows(distributedBackends(), {{"gloo", {device, connect}}});

}  // namespace
}  // namespace tc

#endif
