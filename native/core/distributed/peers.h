#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace tc {

/// Where the ranks of a process group meet, and which of them this process is.
struct Meeting {
  std::string backend;  ///< "gloo" or "nccl"
  int rank = 0;
  int worldSize = 1;
  std::string host;     ///< of the store by which they find one another
  std::string address;  ///< of the host: IPv4, or the host where it has none
  int port = 0;
  bool serves = false;    ///< whether this process keeps that store
  std::string prefix;     ///< of the group's keys, where the store is others', too
  std::string computers;  ///< what this rank computes with, for the messages of others
  std::chrono::milliseconds timeout{0};
};

/// The other ranks of a group. Used by one thread at a time, but for the notes.
class Peers {
 public:
  virtual ~Peers() = default;

  /// Where the tensors lie that are added.
  virtual c10::Device device() const = 0;
  /// Adds those of all ranks, in place, with the same bits as the result everywhere. A contiguous
  /// vector of doubles or floats, of one length and precision on all ranks: others end the process.
  /// Throws Error ERR_TIMEOUT, ERR_DISTRIBUTED.
  virtual void sum(at::Tensor& values) = 0;
  /// Ends the connections, which others notice. The notes stay.
  virtual void hangUp() = 0;

  // Short texts for the others, for messages about failures. May block for long where the rank that
  // keeps them hangs.
  virtual void leaveNote(const std::string& topic, const std::string& text) = 0;
  /// Nothing where there is none after that time.
  virtual std::optional<std::string> note(const std::string& topic, int rank,
                                          std::chrono::milliseconds patience) = 0;
  /// Says that the group has failed: who meets at this place from now on means another one.
  virtual void declareOver() = 0;
  /// Ends the notes: the port is free again.
  virtual void endNotes() = 0;
};

/// Meets the other ranks. Blocks up to the time-out and a little longer. Throws Error ERR_TIMEOUT
/// where some do not come, ERR_DISTRIBUTED where the store cannot be reached, ranks do not agree,
/// or this libtorch has no such backend.
std::unique_ptr<Peers> meet(const Meeting& meeting);

}  // namespace tc
