/**
 * Machine code of a program that ends at once, with 0, when it is given an argument, and otherwise waits for SIGTERM or SIGINT. It blocks
 * those two before it waits for them: as the first process of a container it would not get them otherwise.
 *
 *   if argc > 1 goto done;  rt_sigprocmask(SIG_BLOCK, &set, 0, 8);  while (rt_sigtimedwait(&set, 0, 0, 8) < 0);  done: exit(0)
 */
const CODE: Readonly<Record<string, { machine: number; code: string }>> = {
  amd64: {
    machine: 62,
    code:
      '48833c2401' +
      '7734' + // cmp qword [rsp], 1; ja done
      'b80e000000' +
      '31ff' +
      '488d352f000000' +
      '31d2' +
      '41ba08000000' +
      '0f05' + // rax=14, rdi=0, rsi=&set, rdx=0, r10=8
      'b880000000' +
      '488d3d19000000' +
      '31f6' +
      '31d2' +
      '41ba08000000' +
      '0f05' + // rax=128, rdi=&set, rsi=0, rdx=0, r10=8
      '85c0' +
      '78e4' + // js wait
      'b83c000000' +
      '31ff' +
      '0f05' + // done: rax=60, rdi=0
      '0240000000000000', // set: SIGINT, SIGTERM
  },
  arm64: {
    machine: 183,
    code:
      'e00340f9' +
      '1f0400f1' +
      'c8010054' + // ldr x0, [sp]; cmp x0, 1; b.hi done
      'e81080d2' +
      '000080d2' +
      'c1010010' +
      '020080d2' +
      '030180d2' +
      '010000d4' + // x8=135, x0=0, x1=&set, x2=0, x3=8; svc
      '281180d2' +
      '20010010' +
      '010080d2' +
      '020080d2' +
      '030180d2' +
      '010000d4' + // x8=137, x0=&set, x1=0, x2=0, x3=8; svc
      '40ffff37' + // tbnz w0, 31, wait
      'a80b80d2' +
      '000080d2' +
      '010000d4' + // done: x8=93, x0=0; svc
      '0240000000000000', // set
  },
};

const LOADED_AT = 0x400000;
const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;

/** The smallest program a container can run, as a static Linux executable of under 300 bytes. Throws for another architecture. */
export function waitingProgram(architecture: string): Buffer {
  const target = CODE[architecture];
  if (target === undefined)
    throw new TypeError(`a runnable image is amd64 or arm64, not ${architecture}: there is no program for it`);
  const code = Buffer.from(target.code, 'hex');
  const start = ELF_HEADER + PROGRAM_HEADER;
  const file = Buffer.alloc(start + code.length);
  // ELF header (System V ABI, chapter 4): 64 bit, little endian, an executable.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(target.machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(LOADED_AT + start), 24);
  file.writeBigUInt64LE(BigInt(ELF_HEADER), 32);
  file.writeUInt16LE(ELF_HEADER, 52);
  file.writeUInt16LE(PROGRAM_HEADER, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt16LE(64, 58);
  // One segment, the whole file: loaded, readable and executable.
  file.writeUInt32LE(1, ELF_HEADER);
  file.writeUInt32LE(0b101, ELF_HEADER + 4);
  file.writeBigUInt64LE(BigInt(LOADED_AT), ELF_HEADER + 16);
  file.writeBigUInt64LE(BigInt(LOADED_AT), ELF_HEADER + 24);
  file.writeBigUInt64LE(BigInt(file.length), ELF_HEADER + 32);
  file.writeBigUInt64LE(BigInt(file.length), ELF_HEADER + 40);
  file.writeBigUInt64LE(0x10000n, ELF_HEADER + 48);
  file.set(code, start);
  return file;
}
