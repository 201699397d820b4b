#include "kernels/measure.h"

#include "kernels/ops.h"
#include "kernels/ops_avx2.h"

#if defined(__AVX2__)

#include "kernels/avx2.h"

size_t
first_beyond_avx2(const float *x, size_t n, float limit)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), most = _mm256_set1_ps(limit);
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256 bad = _mm256_setzero_ps();

        for (size_t k = 0; k < 32; k += 8) /* NaN is not "not greater" */
            bad = _mm256_or_ps(bad, _mm256_cmp_ps(_mm256_andnot_ps(sign,
                _mm256_loadu_ps(x + i + k)), most, _CMP_NLE_UQ));
        if (!_mm256_testz_ps(bad, bad))
            break;
    }
    return i + first_beyond_ref(x + i, n - i, limit);
}

void
add_squares_avx2(const float *want, const float *got, const double *m,
    size_t n, double err[4], double norm[4])
{
    __m256d e = _mm256_loadu_pd(err), w = _mm256_loadu_pd(norm);
    size_t j = 0;

    for (; j + 4 <= n; j += 4) {
        __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(want + j));
        __m256d d = _mm256_sub_pd(x, _mm256_cvtps_pd(_mm_loadu_ps(got + j)));

        d = _mm256_mul_pd(d, d);
        x = _mm256_mul_pd(x, x);
        if (m != NULL) {
            d = _mm256_mul_pd(d, _mm256_loadu_pd(m + j));
            x = _mm256_mul_pd(x, _mm256_loadu_pd(m + j));
        }
        e = _mm256_add_pd(e, d);
        w = _mm256_add_pd(w, x);
    }
    _mm256_storeu_pd(err, e);
    _mm256_storeu_pd(norm, w);
    add_squares_ref(want + j, got + j, m == NULL ? NULL : m + j, n - j, err,
        norm);
}

#endif
