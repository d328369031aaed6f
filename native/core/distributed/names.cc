#include "core/distributed/names.h"

#include <utility>  // says which C library it is

#ifdef __GLIBC__
#include <netinet/in.h>
#include <resolv.h>
#endif

namespace tc {

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
