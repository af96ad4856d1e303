// Runs the compiled instructions of x86's AMX on CPUs without it.

#ifndef GEMMA_TESTS_SUPPORT_TILE_TRAP_H_
#define GEMMA_TESTS_SUPPORT_TILE_TRAP_H_

#if defined(__linux__) && defined(__x86_64__)
#define GEMMA_HAS_TILE_TRAP 1

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tests/support/tile_model.h"

namespace gemma::internal {

// An instruction of AMX, taken from its bytes: Intel's Software Developer's
// Manual, volume 2, "Instruction format". All have a VEX prefix of three bytes
// (opcodes after 0F 38, W0, 128 bits).
class TileInstruction {
 public:
  // `registers` are those of the interrupted code.
  TileInstruction(const uint8_t* code, const greg_t* registers) {
    if (code[0] != 0xC4 || (code[1] & 0x1F) != 2 || (code[2] & 0x84) != 0) {
      return;
    }
    prefix = code[2] & 3;
    opcode = code[3];
    const uint8_t modrm = code[4];
    reg = (modrm >> 3 & 7) + (code[1] & 0x80 ? 0 : 8);
    rm = (modrm & 7) + (code[1] & 0x20 ? 0 : 8);
    vvvv = (~code[2] >> 3) & 15;
    is_memory = modrm >> 6 != 3;
    size = 5;
    if (is_memory) FindAddress(code, modrm, registers);
  }

  size_t size = 0;      // in bytes; 0: not an instruction of this form
  unsigned prefix = 0;  // 0: none, 1: 66, 2: F3, 3: F2
  unsigned opcode = 0;
  size_t reg = 0, rm = 0, vvvv = 0;  // numbers of registers
  bool is_memory = false;
  uint8_t* address = nullptr;  // without the index
  size_t stride = 0;           // the index, scaled

 private:
  static uint64_t Register(const greg_t* registers, size_t number) {
    static constexpr int kPlaces[] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return static_cast<uint64_t>(registers[kPlaces[number]]);
  }

  void FindAddress(const uint8_t* code, uint8_t modrm,
                   const greg_t* registers) {
    const size_t mod = modrm >> 6;
    const bool has_sib = (modrm & 7) == 4;
    size_t base = rm;
    if (has_sib) {
      const uint8_t sib = code[size++];
      base = (sib & 7) + (rm & 8);
      const size_t index = (sib >> 3 & 7) + (code[1] & 0x40 ? 0 : 8);
      if (index != 4) stride = Register(registers, index) << (sib >> 6);
    }
    const bool without_base = mod == 0 && (base & 7) == 5;
    int64_t offset = 0;
    if (mod == 1) {
      offset = static_cast<int8_t>(code[size++]);
    } else if (mod == 2 || without_base) {
      int32_t bytes;
      std::memcpy(&bytes, code + size, sizeof(bytes));
      size += sizeof(bytes);
      offset = bytes;
    }
    uint64_t from = 0;
    if (!without_base) {
      from = Register(registers, base);
    } else if (!has_sib) {  // relative to the next instruction
      from = reinterpret_cast<uint64_t>(code) + size;
    }
    address = reinterpret_cast<uint8_t*>(from + offset);
  }
};

// While one exists, instructions of AMX that the CPU refuses run on a TileModel
// of their thread, in the handler of SIGILL. What the model refuses, too, is
// counted and left out. Any other illegal instruction ends the process.
class TileTrap {
 public:
  // Changes configurations before they are loaded, to show that tests fail.
  using Change = void (*)(uint8_t* config);

  explicit TileTrap(Change change = nullptr) {
    change_ = change;
    num_run_ = num_refused_ = 0;
    struct sigaction action = {};
    action.sa_sigaction = Handle;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &previous_);
  }
  ~TileTrap() { sigaction(SIGILL, &previous_, nullptr); }
  TileTrap(const TileTrap&) = delete;
  TileTrap& operator=(const TileTrap&) = delete;

  size_t num_run() const { return num_run_; }
  size_t num_refused() const { return num_refused_; }

 private:
  static void Handle(int, siginfo_t*, void* context) {
    greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const TileInstruction i(
        reinterpret_cast<const uint8_t*>(registers[REG_RIP]), registers);
    bool runs = false;
    if (i.size == 0 || !Run(i, runs)) std::abort();
    ++(runs ? num_run_ : num_refused_);
    registers[REG_RIP] += static_cast<greg_t>(i.size);
  }

  // Returns whether the instruction is known. `runs`: the model executed it.
  static bool Run(const TileInstruction& i, bool& runs) {
    using Dot = TileModel::Dot;
    static thread_local TileModel model;
    switch (i.opcode << 4 | i.prefix) {
      case 0x490:
        if (i.is_memory) {
          alignas(64) uint8_t config[64];
          std::memcpy(config, i.address, sizeof(config));
          if (change_ != nullptr) change_(config);
          runs = model.Configure(config);
        } else {
          model.Release();
          runs = true;
        }
        return true;
      case 0x493:
        runs = model.Zero(i.reg);
        return !i.is_memory;
      case 0x4B3:
        runs = model.Load(i.reg, i.address, i.stride);
        return i.is_memory;
      case 0x4B2:
        runs = model.Store(i.reg, i.address, i.stride);
        return i.is_memory;
      case 0x5C2:
        runs = model.MultiplyBf16(i.reg, i.rm, i.vvvv);
        return true;
      case 0x5E3:
        runs = model.Multiply(Dot::kSignedSigned, i.reg, i.rm, i.vvvv);
        return true;
      case 0x5E2:
        runs = model.Multiply(Dot::kSignedUnsigned, i.reg, i.rm, i.vvvv);
        return true;
      case 0x5E1:
        runs = model.Multiply(Dot::kUnsignedSigned, i.reg, i.rm, i.vvvv);
        return true;
      case 0x5E0:
        runs = model.Multiply(Dot::kUnsigned, i.reg, i.rm, i.vvvv);
        return true;
    }
    return false;
  }

  static inline Change change_ = nullptr;
  static inline std::atomic<size_t> num_run_ = 0;
  static inline std::atomic<size_t> num_refused_ = 0;
  struct sigaction previous_;
};

}  // namespace gemma::internal

#endif  // defined(__linux__) && defined(__x86_64__)

#endif  // GEMMA_TESTS_SUPPORT_TILE_TRAP_H_
