package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.L;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Scalar loops that stand in for vector kernels in the first second of a small model.
 *
 * <p>An operation on vectors takes microseconds until the second compiler has seen its kernel,
 * which takes a second or more of a process; a scalar loop is compiled in milliseconds. A model
 * whose answer is there by then never needs the vectors. For a large model that second is little
 * beside loading, and scalar loops would be slower.
 *
 * <p>The kernels of float32, bfloat16 and E4M3 weights and what an answer with them needs have such
 * loops, which add in the lanes and the order of the vectors: the bits are the same.
 *
 * <p>One state for the process, as the compiled kernels are. Any thread.
 */
public final class ScalarStart {

  /** Most weights of a small model. */
  static final long MOST_WEIGHTS = 32L << 20;

  /** Most tokens of a step; vectors are worth their compilation for more. */
  static final int MOST_TOKENS = 256;

  /** Time of steps, after which vectors are used whatever they cost at first. */
  static final long MOST_NANOS = 1_000_000_000;

  private static final AtomicBoolean ON = new AtomicBoolean();
  private static final AtomicBoolean DECIDED = new AtomicBoolean();
  private static final AtomicLong LEFT = new AtomicLong(MOST_NANOS);

  private ScalarStart() {}

  /**
   * Decides with the first model of the process, and ends what was decided with a later one.
   *
   * @param weights elements of all matrices of the model
   */
  public static void decide(long weights) {
    boolean isFirst = DECIDED.compareAndSet(false, true);
    ON.set(isFirst && weights <= MOST_WEIGHTS);
  }

  /** Uses vectors from now on: somebody takes the time to have the kernels compiled. */
  public static void end() {
    DECIDED.set(true);
    ON.set(false);
  }

  /** Returns whether scalar loops are to stand in for vectors in a step of so many tokens. */
  public static boolean begin(int tokens) {
    if (tokens > MOST_TOKENS) {
      ON.set(false);
    }
    return ON.get();
  }

  /** Counts the time of a step. */
  public static void spend(long nanos) {
    if (LEFT.addAndGet(-nanos) <= 0) {
      ON.set(false);
    }
  }

  /** Switches scalar loops for a test and returns whether they were on. */
  static boolean set(boolean wanted) {
    DECIDED.set(true);
    return ON.getAndSet(wanted);
  }

  /** Returns whether scalar loops stand in for vectors. */
  public static boolean isOn() {
    // Bits do not depend on it, and threads of a team get it with their work.
    return ON.getPlain();
  }

  /** Returns the last element at which one of len elements' vectors begins: none, or len - L. */
  static int lastVector(int len) {
    return isOn() ? -1 : len - L;
  }

  /** Returns the sum of w[at, at + body) times x[off, off + body) as a kernel adds it. */
  static float dot(float[] w, int at, float[] x, int off, int body, float[] lanes) {
    if (L < 4) {
      two(w, at, x, off, body, lanes);
    }
    for (int j = 0; j < L && L >= 4; j += 4) {
      four(w, at + j, x, off + j, body, lanes, j);
    }
    return sum(lanes);
  }

  private static void two(float[] w, int at, float[] x, int off, int body, float[] lanes) {
    float s0 = 0, s1 = 0;
    for (int c = 0; c < body; c += L) {
      s0 = Math.fma(w[at + c], x[off + c], s0);
      s1 = Math.fma(w[at + c + 1], x[off + c + 1], s1);
    }
    lanes[0] = s0;
    lanes[1] = s1;
  }

  /** Writes lanes [to, to + 4) of a sum, of which both sides begin at the first of these lanes. */
  static void four(float[] w, int at, float[] x, int off, int body, float[] lanes, int to) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int c = 0; c < body; c += L) {
      int a = at + c;
      int b = off + c;
      s0 = Math.fma(w[a], x[b], s0);
      s1 = Math.fma(w[a + 1], x[b + 1], s1);
      s2 = Math.fma(w[a + 2], x[b + 2], s2);
      s3 = Math.fma(w[a + 3], x[b + 3], s3);
    }
    lanes[to] = s0;
    lanes[to + 1] = s1;
    lanes[to + 2] = s2;
    lanes[to + 3] = s3;
  }

  /** Returns what {@link Lanes#sum} returns for lanes[0, L), and leaves it in lanes[0]. */
  static float sum(float[] lanes) {
    for (int j = 0; j < 8 && L == 16; j++) {
      lanes[j] += lanes[j + 8];
    }
    for (int j = 0; j < 4 && L >= 8; j++) {
      lanes[j] += lanes[j + 4];
    }
    if (L > 2) {
      lanes[0] += lanes[2];
      lanes[1] += lanes[3];
    }
    lanes[0] += lanes[1];
    return lanes[0];
  }
}
